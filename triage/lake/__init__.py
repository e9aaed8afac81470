"""The lake: what lies where in the S3 bucket, reading and writing it, and the Delta tables made from it."""
