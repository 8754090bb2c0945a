"""The objectives: what a row counts for (weights), and the token-level losses (losses).

Trained by weighted (SFT, RFT, DFT, RIFT, Offline GRPO), preference (DPO, IPO, SimPO, KTO) and online (Online GRPO,
Online DAPO), each on TRL.
"""
