from tests.integrations.labels.pictures import key_folder, labeller, signer  # noqa: F401
