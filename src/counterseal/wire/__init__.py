"""What travels between the service and everybody else: one typed file a resource.

Each file holds the structs of its requests and answers, every field with a bound, and an `Endpoint`
for every route: method, path, who may call, limits and error codes. `endpoints` lists them all.
Service, client and institutions take their shapes from here, and docs/reference/api.md is made from
here.
"""
