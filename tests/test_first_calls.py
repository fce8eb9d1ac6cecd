import numpy as np
import pytest
from jaxtyping import TypeCheckError

from envs.pictures import area_average
from tests.support.first_calls import CALLS, begin_test


def test_a_wrong_shape_is_refused_in_the_first_calls_of_a_test():
    flat = np.zeros(4, np.uint8)
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="frames"):
            area_average(flat, 2)
        for _ in range(CALLS):
            area_average(flat[None], 2)
        with pytest.raises(ValueError, match="unpack"):
            area_average(flat, 2)
        begin_test()
