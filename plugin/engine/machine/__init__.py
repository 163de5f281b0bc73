"""What this machine has: memory, graphics card, GIMPs, folders."""
