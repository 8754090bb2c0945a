"""Problems with known answers, and how answers are graded."""
