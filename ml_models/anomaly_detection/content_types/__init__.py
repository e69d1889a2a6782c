"""One module for each kind of body: `rows` is what they read it into, `request` and `response` choose among them."""
