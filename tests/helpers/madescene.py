"""A scene that lies nowhere, for what is planned and never read."""

from landslide_scale.scene import Scene, utc

SCENE = Scene(
    id="made",
    tile="33TWM",
    epsg=32633,
    bounds=(399_960, 5_050_040, 649_960, 5_300_040),
    sensed=utc("2023-08-10T10:00:00Z"),
    datatake="GS2A_20230810T100000_042590",
    datastrip="",
    baseline=(5, 9),
    generated=utc("2023-08-10T10:00:00Z"),
    cloud_cover=0.0,
    offset=0,
    offset_rule="made",
    assets=(("red", "red.tif"), ("scl", "scl.tif")),
)
