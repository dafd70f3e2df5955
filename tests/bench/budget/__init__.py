"""What a budget buys: both models' answers for every frame of a clip, and what a filter makes of them."""
