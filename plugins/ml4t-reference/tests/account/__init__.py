"""What bounds an account, what targets find and what is cut to lots on the reference engine, by hand."""
