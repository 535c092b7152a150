"""What the service keeps: an interface of small methods, and a folder for each database."""
