"""The same scripts on ml4t and on the engines that its profiles stand for; see README.md."""
