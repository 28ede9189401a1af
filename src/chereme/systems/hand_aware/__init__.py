"""System B: isolated signs through a model of the hand (crops -> MANO or open hand -> ST-GCN).

With it, the recognisers of whole frames that the paper fuses it with.
"""
