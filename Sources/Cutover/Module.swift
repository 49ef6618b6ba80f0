// Cutover
