"""A forge with a fixed key."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from signature_forge import Forge, key_of


@pytest.fixture(scope="session")
def forge() -> Forge:
    return Forge(key_of(ec.SECP256R1(), 20_260_401))


@pytest.fixture(scope="session")
def forge_pem(forge: Forge) -> bytes:
    return forge.pem


@pytest.fixture(scope="session")
def forge_bundle(forge: Forge) -> bytes:
    return forge.sign(forge.statement())
