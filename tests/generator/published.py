"""A whole small random checkpoint as diffusers writes it: Qwen2.5-VL, tokenizer, transformer, autoencoder, scheduler."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.generator.conftest import randomise

TEXTS = ("云原生架构的设计思路，极简插画，构图疏朗，浅色调。", "A minimal illustration of how caching keeps small sites fast.",
         "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the "
         "objects and background: user assistant system")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEXT_WIDTH = 32


def build_tokenizer():
    """Byte-level BPE with the published special tokens, a few hundred pieces."""
    from transformers import Qwen2Tokenizer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=list(SPECIAL), show_progress=False))
    return Qwen2Tokenizer(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def build_text_encoder(vocabulary, width=TEXT_WIDTH):
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(
        text_config={"hidden_size": width, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": width // 16,
                     "num_key_value_heads": 1, "vocab_size": vocabulary, "max_position_embeddings": 2048,
                     "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1000000.0}},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": width})
    return randomise(Qwen2_5_VLForConditionalGeneration(config), seed=4)


def build_pipeline(vae):
    """A QwenImagePipeline around `vae`, a small AutoencoderKLQwenImage of 4 latent channels."""
    from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline, QwenImageTransformer2DModel

    tokenizer = build_tokenizer()
    transformer = randomise(QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH, axes_dims_rope=(4, 6, 6)), seed=5)
    scheduler = FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9, shift_terminal=0.02,
        use_dynamic_shifting=True, time_shift_type="exponential")
    return QwenImagePipeline(scheduler=scheduler, vae=vae, text_encoder=build_text_encoder(len(tokenizer)),
                             tokenizer=tokenizer, transformer=transformer)
