"""Small helpers for actions and scripts."""

from rails_engine import (
    EnhancedJsonEncoder,
    camelcase_to_snakecase,
    compute_hash,
    ensure_valid_event,
    get_or_create_event_loop,
    init_random_seed,
    is_valid_event,
    new_event_dict,
    new_readable_uuid,
    new_uuid,
    new_var_uuid,
    safe_eval,
    snake_to_camelcase,
)

__all__ = [
    "EnhancedJsonEncoder",
    "camelcase_to_snakecase",
    "compute_hash",
    "ensure_valid_event",
    "get_or_create_event_loop",
    "init_random_seed",
    "is_valid_event",
    "new_event_dict",
    "new_readable_uuid",
    "new_uuid",
    "new_var_uuid",
    "safe_eval",
    "snake_to_camelcase",
]
