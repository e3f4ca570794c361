"""What studies run on: run folders that go on where they stopped, kept models, neurons and measurements, Ray Tune."""
