"""Sign packs and the list of approved packs. Private keys stay outside the repository."""
