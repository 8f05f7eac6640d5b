"""The pages that operators and customers look at: what they show, how they are reached, and who may."""
