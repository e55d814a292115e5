"""The colours of every figure."""

# Okabe and Ito's palette (2008), which readers with colour-blindness can tell apart.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
