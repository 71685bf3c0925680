"""Derivatives and high-precision evaluation of expression trees."""
