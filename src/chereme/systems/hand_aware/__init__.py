"""System B: isolated signs through a model of the hand (crops -> MANO or open hand -> ST-GCN).

- ``encoder``: Eq. 1; ``decoder``: Eq. 2, 3 and 5; ``recognizer``: both with the graph network
  (Eq. 4: ``chereme.nn.hand_graph``, ``chereme.nn.st_gcn``).
- ``losses``: Eq. 6 to 9.
- ``baselines``: recognisers of detected joints and of whole frames, which the paper fuses it
  with.
- ``data``, ``task``, ``export``: training on shards, and the bundle; ``reprojection``: how near
  hands are.
- ``reconstruction*``, ``network_reconstruction``: pictures of the meshes (Figure 3).
"""
