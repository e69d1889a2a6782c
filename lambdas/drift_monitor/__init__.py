"""Holds each day's or hour's rows against those that the serving model was trained on."""
