"""Bottleneck adapters: small two-layer networks between a base's own layers (arXiv 1902.00751, 2005.00247).

PEFT has no such method, so this is one in its own terms: :func:`register_bottleneck` enters it in PEFT's tables, and
from then on TRL, ``PeftModel.from_pretrained`` and the registry treat it like any other. It follows the last linear
layer of a part, before the sum with the residual: ``y + up(bend(down(y)))`` with ``up`` zero at first, so training
starts at the base. A merge is impossible, because of the bend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from understudy.core.settings import TrainSettings
from understudy.core.tuning._layers import FEED_FORWARD_OUT, MIXER_OUT, named

if TYPE_CHECKING:
    from peft import PeftConfig

__all__ = ["bottleneck_config", "register_bottleneck"]

_NAME = "BOTTLENECK"


def bottleneck_config(settings: TrainSettings) -> PeftConfig:
    """Return the PEFT configuration of a bottleneck adapter."""
    adapter = settings.adapter
    places = FEED_FORWARD_OUT if adapter.placement == "pfeiffer" else (*MIXER_OUT, *FEED_FORWARD_OUT)
    config: PeftConfig = register_bottleneck()(
        width=adapter.width,
        activation=adapter.activation,
        dropout=adapter.dropout,
        target_modules=named(places) if adapter.target_modules == "auto" else list(adapter.target_modules),
        task_type="CAUSAL_LM",
    )
    return config


@cache
def register_bottleneck() -> Any:
    """Enter the method in PEFT's tables and return its configuration class; repeated calls change nothing.

    The classes stand in a function because importing PEFT takes seconds.
    """
    from peft import PeftConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
    from peft.tuners.tuners_utils import BaseTuner

    layer_class = _layer_class()

    @dataclass
    class BottleneckConfig(PeftConfig):
        """Shape of the adapter, as stored in ``adapter_config.json``."""

        width: int = field(default=64)
        activation: str = field(default="gelu")
        dropout: float = field(default=0.0)
        target_modules: list[str] | str | None = field(default=None)
        exclude_modules: list[str] | str | None = field(default=None)

        def __post_init__(self) -> None:
            super().__post_init__()  # type: ignore[no-untyped-call]
            self.peft_type = _NAME
            if isinstance(self.target_modules, list):
                self.target_modules = set(self.target_modules)  # type: ignore[assignment]

    class BottleneckModel(BaseTuner):
        """A base with bottlenecks after its target layers."""

        prefix = "bottleneck_"
        tuner_layer_cls = layer_class

        def _create_and_replace(
            self,
            peft_config: Any,
            adapter_name: str,
            target: Any,
            target_name: str,
            parent: Any,
            current_key: str,
            parameter_name: str | None = None,
        ) -> None:
            if isinstance(target, layer_class):
                target.update_layer(adapter_name, peft_config)
                return
            layer = layer_class(target, adapter_name, peft_config)
            if adapter_name not in self.active_adapters:
                layer.requires_grad_(False)
            self._replace_module(parent, target_name, layer, target)

    tables: tuple[Any, ...] = (PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING)
    for table, entry in zip(tables, (BottleneckConfig, BottleneckModel, BottleneckModel.prefix), strict=True):
        table[_NAME] = entry
    return BottleneckConfig


def _layer_class() -> Any:
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch import nn

    bends: dict[str, Callable[..., torch.Tensor]] = {
        "gelu": nn.functional.gelu,
        "relu": nn.functional.relu,
        "silu": nn.functional.silu,
    }

    class BottleneckLayer(nn.Module, BaseTunerLayer):
        """A linear layer of the base followed by the bottlenecks of the active adapters."""

        adapter_layer_names = ("bottleneck_down", "bottleneck_up")
        other_param_names = ("bends", "dropouts")

        def __init__(self, base_layer: nn.Linear, adapter_name: str, config: Any) -> None:
            super().__init__()
            self.base_layer = base_layer
            self.bottleneck_down = nn.ModuleDict()
            self.bottleneck_up = nn.ModuleDict()
            self.bends: dict[str, str] = {}
            self.dropouts: dict[str, float] = {}
            self._active_adapter = adapter_name
            self.merged_adapters: list[str] = []
            self.update_layer(adapter_name, config)

        def update_layer(self, adapter_name: str, config: Any) -> None:
            """Add a bottleneck."""
            size = int(self.get_base_layer().out_features)  # type: ignore[arg-type]
            up = nn.Linear(config.width, size)
            nn.init.zeros_(up.weight)
            nn.init.zeros_(up.bias)
            self.bottleneck_down[adapter_name], self.bottleneck_up[adapter_name] = nn.Linear(size, config.width), up
            self.bends[adapter_name], self.dropouts[adapter_name] = config.activation, config.dropout
            self._move_adapter_to_device_of_base_layer(adapter_name)
            self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

        def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            """Return the base layer's output, corrected by each active bottleneck."""
            out: torch.Tensor = self.base_layer(x, *args, **kwargs)
            if self.disable_adapters:
                return out
            for name in self.active_adapters:
                if name in self.bottleneck_down:
                    down: Any = self.bottleneck_down[name]
                    inner = bends[self.bends[name]](down(out.to(down.weight.dtype)))
                    inner = nn.functional.dropout(inner, self.dropouts[name], self.training)
                    out = out + self.bottleneck_up[name](inner).to(out.dtype)
            return out

        def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
            """Refuse: the bend is not linear."""
            raise ValueError("a bottleneck adapter cannot be merged; it is not linear")

    return BottleneckLayer
