"""Models behind SageMaker's real-time contract: what BlazingText's clients send, and a server for a model folder."""
