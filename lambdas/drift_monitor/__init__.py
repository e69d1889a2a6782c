"""Holds each day's scored rows against the days that the serving model was trained on."""
