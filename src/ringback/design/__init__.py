"""What all pages share, those of the server and those of the sandbox: their look, their pieces and their charts."""
