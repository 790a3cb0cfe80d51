# Copyright 2026 the df_planner authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Maps from files: the YAML and the image that Nav2's ``map_server`` and SLAM tools write.

    grid = load_map('office.yaml')
    save_map('copy.yaml', grid)

The YAML names the image and says what its shades mean. A pixel is a cell, the lowest row of pixels
is the first row of cells. The shade of a pixel is 0 for white to 1 for black, the other way round
with ``negate``; a shade of ``occupied_thresh`` and above is an obstacle, of ``free_thresh`` and
below free. What lies between is unknown in mode ``trinary``, and in mode ``scale`` a number
between 0 and 100. In mode ``raw`` pixels *are* the numbers of ``nav_msgs/OccupancyGrid``, and 101
to 255 are unknown. What is transparent is unknown. These are Nav2's rules.
"""

from pathlib import Path
from typing import Annotated
from typing import Literal
import warnings

import numpy as np
from PIL import Image
from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import FiniteFloat
import yaml

from df_planner.configuration import checked
from df_planner.configuration import read_yaml
from df_planner.errors import ConfigError
from df_planner.files import replace_files
from df_planner.maps.grid import FREE
from df_planner.maps.grid import GridMap
from df_planner.maps.grid import MOST_CELLS
from df_planner.maps.grid import OCCUPIED
from df_planner.maps.grid import UNKNOWN

SHADES_OF_COLOURS = (0.212656, 0.715158, 0.072186)  # of red, green and blue (Rec. 709)


class MapFile(BaseModel):
    """What the YAML file says; other fields, of other programs, are not read."""

    model_config = ConfigDict(frozen=True)

    image: str = Field(min_length=1)
    resolution: FiniteFloat = Field(gt=0.0)
    origin: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    negate: bool
    occupied_thresh: float = Field(ge=0.0, le=1.0)
    free_thresh: float = Field(ge=0.0, le=1.0)
    mode: Annotated[Literal['trinary', 'scale', 'raw'],
                    BeforeValidator(lambda mode: str(mode).lower())] = 'trinary'


def load_map(path: str | Path, allow_unknown: bool = False) -> GridMap:
    """
    Load a map from its YAML file, for positions in the map frame.

    :param allow_unknown: unknown cells are free; otherwise they are obstacles.
    :raises ConfigError: for a file that is no map, in one line that names it and what is wrong.
    """
    path = Path(path)
    if path.suffix.lower() in Image.registered_extensions():
        raise ConfigError(f'{path}: is an image; give the YAML file that names it')
    says = checked(MapFile, read_yaml(path), str(path))
    if says.free_thresh > says.occupied_thresh:
        raise ConfigError(f'{path}: free_thresh must be at most occupied_thresh, got '
                          f'{says.free_thresh} and {says.occupied_thresh}')
    gray, seen = _read_image(path.parent / says.image)
    cells = _raw_cells(gray) if says.mode == 'raw' else np.where(
        seen, _cells_of_shades(gray, says), np.int8(UNKNOWN))
    *origin_xy, yaw = says.origin
    return GridMap.from_cells(cells[::-1], says.resolution, np.array(origin_xy), origin_yaw=yaw,
                              allow_unknown=allow_unknown)


def save_map(path: str | Path, grid: GridMap) -> None:
    """Write a map as a YAML file and, beside it, a PNG of the same name."""
    path = Path(path)
    image = path.with_suffix('.png')
    shades = np.select([grid.occupied, grid.unknown], [0, 205], 254).astype(np.uint8)[::-1]
    says = {'image': image.name, 'mode': 'trinary', 'resolution': grid.resolution_m,
            'origin': [*grid.origin_xy.tolist(), grid.origin_yaw], 'negate': 0,
            'occupied_thresh': 0.65, 'free_thresh': 0.196}
    replace_files({image: lambda file: Image.fromarray(shades).save(file, 'PNG'),
                   path: yaml.safe_dump(says, sort_keys=False)})


def _read_image(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the brightness, uint8 (H, W), and which pixels are opaque, bool (H, W)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            image = Image.open(path)
        if image.width * image.height > MOST_CELLS:
            raise Image.DecompressionBombError
        with image:
            if 'transparency' not in image.info and image.mode in ('1', 'L', 'I', 'I;16'):
                wide = image.mode.startswith('I')  # 16 bits a pixel
                gray = (np.round(np.asarray(image, np.float64) / 257.0).astype(np.uint8) if wide
                        else np.asarray(image.convert('L')))
                return gray, np.ones(gray.shape, bool)
            pixels = np.asarray(image.convert('RGBA'))
    except Image.DecompressionBombError:
        raise ConfigError(f'{path}: has more than {MOST_CELLS} pixels; use a coarser map, or cut '
                          'out the part that is driven in') from None
    except FileNotFoundError:
        raise ConfigError(f'{path}: no such image; correct image in the YAML file, or copy the '
                          'image there') from None
    except Image.UnidentifiedImageError:
        raise ConfigError(f'{path}: is no image, or has no pixels; '
                          'write it as PGM or PNG') from None
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError, MemoryError) as error:
        raise ConfigError(f'{path}: the image cannot be read ({" ".join(str(error).split())}); '
                          'write it again as PGM or PNG') from error
    gray = np.round(pixels[..., :3] @ np.array(SHADES_OF_COLOURS)).astype(np.uint8)
    return gray, pixels[..., 3] == 255


def _cells_of_shades(gray: np.ndarray, says: MapFile) -> np.ndarray:
    """Return cells (H, W) int8 by the shades of pixels, in single precision as Nav2 does."""
    shade = gray.astype(np.float32) / np.float32(255.0)
    if not says.negate:
        shade = np.float32(1.0) - shade
    free, occupied = np.float32(says.free_thresh), np.float32(says.occupied_thresh)
    between = np.full(gray.shape, UNKNOWN, np.float32)
    if says.mode == 'scale' and free < occupied:
        between = np.floor((shade - free) / (occupied - free) * np.float32(100.0) + 0.5)
    return np.select([shade <= free, shade >= occupied], [FREE, OCCUPIED], between).astype(np.int8)


def _raw_cells(gray: np.ndarray) -> np.ndarray:
    """Return cells (H, W) int8 that are the pixels themselves."""
    return np.where(gray <= OCCUPIED, gray, UNKNOWN).astype(np.int8)
