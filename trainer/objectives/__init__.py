"""What trains the objectives of trainer.methods, each on TRL.

weighted trains those on rows, preference DPO and its kin and KTO, online GRPO and DAPO.
"""
