"""How the seedling, the embedded base model, is raised from nothing; read ``__main__.py`` first.

Stages: ``corpus`` (text and tokenizer), ``copying`` (in-context copying, which a model this small never learns from
ordinary text), ``language`` (code, diffs, logs and recall drills), ``ship`` (bf16 safetensors and the model card).
"""
