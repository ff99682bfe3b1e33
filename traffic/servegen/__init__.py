"""ServeGen's clients: rate and burstiness for each window of ten minutes, lengths for each of six hours.

Origin: github.com/alibaba/ServeGen, data and servegen/clientpool.py.
"""
