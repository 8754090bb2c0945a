"""Adapters on the Hugging Face Hub: listed, chosen, downloaded, and what went wrong in a sentence."""
