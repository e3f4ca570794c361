"""What a reply is worth: one reading a file, of brands, of users and of replies."""
