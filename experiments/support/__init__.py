"""What several experiments share: run folders that go on where they stopped, markets, scoring, the study's stages."""
