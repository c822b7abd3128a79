"""The user's data: label readers, photos, transforms, and the synthetic set of the demo."""
