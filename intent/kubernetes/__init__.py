"""Kubernetes objects as Ringfence documents: exact, or refused with the path of what cannot be said. Pure.

objects = read_objects(text, source="policies.yaml")
translation = translate(objects, current_documents)
"""

from intent.kubernetes.reading import KubernetesObject, read_objects
from intent.kubernetes.translation import DEFAULT_NETWORK, Translation, translate

__all__ = ["DEFAULT_NETWORK", "KubernetesObject", "Translation", "read_objects", "translate"]
