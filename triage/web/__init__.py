"""The pages of the desk and the door for webhooks. Views load, make one domain call and render."""
