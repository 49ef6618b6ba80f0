// Offsets
