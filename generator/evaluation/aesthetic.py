"""Aesthetic: a small discriminator of professional feel. It was trained on curated good pictures against flawed and generated ones."""
