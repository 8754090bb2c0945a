"""What a report says, section by section: from a study to parts with numbers. Each file has one subject."""
