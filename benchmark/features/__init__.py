"""Features of a task: extraction, caching, files, plug-ins and networks."""
