"""The first screen: what is alike, what follows, and the evidence of the line under the cursor."""
