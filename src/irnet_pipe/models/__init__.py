"""Networks: the backbone, the CAM classifier and IRNet."""
