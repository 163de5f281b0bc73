"""Find out what this machine has: memory, graphics card, GIMPs, folders."""
