"""Small random networks of other families, made by timm, transformers and PyTorch, and what they
give: the files beside this one. No package has KP-RPE: see `kp_rpe.py`.

    python3 -m pip install torch timm transformers safetensors numpy
    python3 golden/families/make.py

Of every case NAME it writes `NAME/model.safetensors` as the library's own users save it, its
`config.json`, and `NAME/expected.safetensors`:

    images     uint8 [image, row, column, RGB]
    score      the last block's pre-softmax attention, mean over heads and all pairs of tokens
               [image]
    max        its maximum, and likewise median (the lower middle) [image]
    heads      the same per head [image, head]
    patches    its mean over heads and pairs of patch tokens [image]
    received   the mean over heads and all queries, of every patch [image, patch]
    embedding  the library's own output [image, D]

Queries and keys are taken by hooks on the library's own modules, after their norms. Weights are
float16 in the files; the networks compute in float32 with exactly those.
"""

import pathlib
import shutil

import kp_rpe
import timm
import torch
import transformers
from cases import images, normalised, randomise, write
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer


class Recorder:
    """The outputs of modules at the last call."""

    def __init__(self, **modules):
        self.outputs = {}
        for name, module in modules.items():
            module.register_forward_hook(
                lambda _module, _inputs, output, name=name: self.outputs.update({name: output})
            )

    def __getitem__(self, name):
        return self.outputs[name]


def by_head(tokens, heads):
    """`[image, token, D]` to `[image, head, token, D/H]`."""
    batch, count, dim = tokens.shape
    return tokens.reshape(batch, count, heads, dim // heads).transpose(1, 2)


def timm_case(name, seed, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), rename=None, **arguments):
    arguments = {"embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 2, **arguments}
    model = randomise(VisionTransformer(**arguments), seed)
    for block in model.blocks:
        block.attn.fused_attn = False
    last = model.blocks[-1].attn
    recorded = Recorder(qkv=last.qkv, query=last.q_norm, key=last.k_norm)
    side = arguments["img_size"]
    pixels = images(side, seed)
    embedding = model(normalised(pixels, mean, std))
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": arguments["num_classes"],
        "num_features": arguments["embed_dim"],
        "global_pool": arguments.get("global_pool", "token"),
        "pretrained_cfg": {
            "input_size": [3, side, side],
            "mean": list(mean),
            "std": list(std),
            "classifier": "head",
        },
        "model_args": {
            "patch_size": arguments["patch_size"],
            "num_heads": arguments["num_heads"],
            "embed_dim": arguments["embed_dim"],
        },
    }
    state = model.state_dict()
    if rename:
        state, config = {rename(key): value for key, value in state.items()}, None
        state["mask_token"] = torch.zeros(1, arguments["embed_dim"])
    query, key = recorded["query"], recorded["key"]
    write(name, state, config, pixels, query, key, embedding, model.num_prefix_tokens)


def dinov2_names(name):
    """The names of DINOv2's repository."""
    return (
        name.replace("reg_token", "register_tokens")
        .replace("mlp.fc1", "mlp.w12")
        .replace("mlp.fc2", "mlp.w3")
    )


def saved(model, spelling, folder="/tmp/attn-fiqa-families"):
    """The state dict under the names of the file, or of the modules."""
    if spelling == "module":
        return model.state_dict()
    from safetensors.torch import load_file

    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    return load_file(pathlib.Path(folder) / "model.safetensors")


def hugging_face_case(name, seed, model, config, embed, mean, std, spelling="file", prefix_tokens=1):
    model = randomise(model, seed)
    encoder = getattr(model, "vision_model", model)
    layers = encoder.layers if hasattr(encoder, "layers") else encoder.encoder
    layers = getattr(layers, "layers", getattr(layers, "layer", layers))
    attention = getattr(layers[-1], "self_attn", None) or layers[-1].attention
    recorded = Recorder(query=attention.q_proj, key=attention.k_proj)
    vision = config.to_dict()
    pixels = images(config.image_size, seed)
    embedding = embed(model(pixel_values=normalised(pixels, mean, std)))
    heads = config.num_attention_heads
    query, key = by_head(recorded["query"], heads), by_head(recorded["key"], heads)
    keep = [
        "model_type",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "layer_norm_eps",
        "image_size",
        "patch_size",
        "use_swiglu_ffn",
        "qkv_bias",
    ]
    vision = {key: vision[key] for key in keep if key in vision}
    extra = {"preprocessor_config.json": {"image_mean": list(mean), "image_std": list(std)}}
    state = saved(model, spelling)
    write(name, state, vision, pixels, query, key, embedding, prefix_tokens, extra)


def openai_case(name, seed):
    """CLIP's image encoder by transformers, renamed as OpenAI's file has it, in a whole model."""
    config = transformers.CLIPVisionConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=96,
        image_size=32,
        patch_size=8,
        projection_dim=24,
        attn_implementation="eager",
    )
    model = randomise(transformers.CLIPVisionModelWithProjection(config), seed)
    attention = model.vision_model.encoder.layers[-1].self_attn
    recorded = Recorder(query=attention.q_proj, key=attention.k_proj)
    mean, std = CLIP
    pixels = images(32, seed)
    embedding = model(pixel_values=normalised(pixels, mean, std)).image_embeds
    query, key = by_head(recorded["query"], 1), by_head(recorded["key"], 1)
    weights = {key.removeprefix("vision_model."): value for key, value in model.state_dict().items()}
    state = {
        "visual.class_embedding": weights["embeddings.class_embedding"],
        "visual.positional_embedding": weights["embeddings.position_embedding.weight"],
        "visual.conv1.weight": weights["embeddings.patch_embedding.weight"],
        "visual.proj": weights["visual_projection.weight"].T,
        # What lies beside the image encoder.
        "positional_embedding": torch.zeros(7, 16),
        "text_projection": torch.zeros(16, 24),
        "token_embedding.weight": torch.zeros(11, 16),
        "ln_final.weight": torch.zeros(16),
        "ln_final.bias": torch.zeros(16),
        "transformer.resblocks.0.ln_1.weight": torch.zeros(16),
        "logit_scale": torch.zeros(()),
    }
    for part in ("weight", "bias"):
        state[f"visual.ln_pre.{part}"] = weights[f"pre_layrnorm.{part}"]
        state[f"visual.ln_post.{part}"] = weights[f"post_layernorm.{part}"]
        for block in range(2):
            old, new = f"encoder.layers.{block}.", f"visual.transformer.resblocks.{block}."
            state[f"{new}attn.in_proj_{part}"] = torch.cat(
                [weights[f"{old}self_attn.{kind}_proj.{part}"] for kind in "qkv"]
            )
            for theirs, ours in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm1", "ln_1"),
                ("layer_norm2", "ln_2"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                state[f"{new}{ours}.{part}"] = weights[f"{old}{theirs}.{part}"]
    write(name, state, None, pixels, query, key, embedding, 1)


class TransFace(torch.nn.Module):
    """TransFace's embedding (arXiv 2308.10133) on timm's blocks: a gate per patch before the
    official layout's head."""

    def __init__(self, embedding=20, **arguments):
        super().__init__()
        self.vit = VisionTransformer(
            class_token=False,
            global_pool="",
            num_classes=0,
            act_layer=torch.nn.ReLU6,
            qkv_bias=False,
            norm_layer=torch.nn.LayerNorm,
            **arguments,
        )
        dim, patches = self.vit.embed_dim, self.vit.patch_embed.num_patches
        Linear, BatchNorm1d = torch.nn.Linear, torch.nn.BatchNorm1d
        self.senet = torch.nn.Sequential(
            Linear(dim * patches, patches, bias=False),
            torch.nn.ReLU(),
            Linear(patches, patches, bias=False),
            torch.nn.Sigmoid(),
        )
        self.feature = torch.nn.Sequential(
            Linear(dim * patches, dim, bias=False),
            BatchNorm1d(dim, eps=2e-5),
            Linear(dim, embedding, bias=False),
            BatchNorm1d(embedding, eps=2e-5),
        )

    def forward(self, x):
        tokens = self.vit.forward_features(x)
        gates = self.senet(tokens.flatten(1))
        return self.feature((tokens * gates.unsqueeze(-1)).flatten(1))


def transface_case(name, seed):
    model = randomise(
        TransFace(img_size=112, patch_size=28, embed_dim=40, depth=2, num_heads=5, mlp_ratio=2),
        seed,
    )
    attention = model.vit.blocks[-1].attn
    attention.fused_attn = False
    recorded = Recorder(query=attention.q_norm, key=attention.k_norm)
    pixels = images(112, seed)
    embedding = model(normalised(pixels, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
    state = {key.removeprefix("vit."): value for key, value in model.state_dict().items()}
    state["mask_token"] = torch.zeros(1, 1, 40)
    write(name, state, None, pixels, recorded["query"], recorded["key"], embedding, 0)


HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@torch.no_grad()
def main():
    # As the public recognisers vit_tiny_patch8_112 (class token) and vit_small_patch8_gap_112.
    timm_case("timm-token", 1, img_size=32, patch_size=8, num_classes=20)
    timm_case(
        "timm-gap",
        2,
        img_size=40,
        patch_size=8,
        num_classes=20,
        class_token=False,
        global_pool="avg",
    )
    # Everything else that timm's VisionTransformer has, and patches of an odd size.
    timm_case(
        "timm-registers",
        3,
        img_size=35,
        patch_size=5,
        num_classes=16,
        reg_tokens=3,
        no_embed_class=True,
        pre_norm=True,
        init_values=0.1,
        qk_norm=True,
        qkv_bias=False,
        global_pool="avg",
        mean=IMAGENET[0],
        std=IMAGENET[1],
    )
    # Positions of registers, a norm before averaging, no last linear.
    timm_case(
        "timm-positions",
        4,
        img_size=32,
        patch_size=16,
        num_classes=0,
        reg_tokens=2,
        qk_norm=True,
        fc_norm=False,
        global_pool="avg",
    )
    timm_case(
        "dinov2",
        5,
        img_size=28,
        patch_size=7,
        num_classes=0,
        embed_dim=64,
        num_heads=1,
        reg_tokens=4,
        no_embed_class=False,
        init_values=1.0,
        mlp_layer=SwiGLUPacked,
        act_layer=torch.nn.SiLU,
        mean=IMAGENET[0],
        std=IMAGENET[1],
        rename=dinov2_names,
    )

    small = dict(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        attn_implementation="eager",
    )
    of_class = lambda output: output.last_hidden_state[:, 0]
    config = transformers.ViTConfig(intermediate_size=48, **small)
    for name, spelling in (("hf-vit", "file"), ("hf-vit-modules", "module")):
        hugging_face_case(name, 6, transformers.ViTModel(config), config, of_class, *HALF, spelling=spelling)
    config = transformers.Dinov2Config(mlp_ratio=2, **small)
    hugging_face_case("hf-dinov2", 7, transformers.Dinov2Model(config), config, of_class, *IMAGENET)
    config = transformers.Dinov2WithRegistersConfig(
        mlp_ratio=2, num_register_tokens=3, use_swiglu_ffn=True, **small
    )
    for name, spelling in (("hf-dinov2-swiglu", "file"), ("hf-dinov2-swiglu-modules", "module")):
        model = transformers.Dinov2WithRegistersModel(config)
        hugging_face_case(name, 8, model, config, of_class, *IMAGENET, spelling=spelling, prefix_tokens=4)
    config = transformers.CLIPVisionConfig(intermediate_size=48, projection_dim=24, **small)
    model = transformers.CLIPVisionModelWithProjection(config)
    hugging_face_case("hf-clip", 9, model, config, lambda output: output.image_embeds, *CLIP)
    openai_case("openai-clip", 10)
    transface_case("transface", 11)
    kp_rpe.case("kp-rpe", 12)
    print("timm", timm.__version__, "transformers", transformers.__version__)


if __name__ == "__main__":
    main()
