"""The paper's tables: all models trained alike, judged under named protocols, beside the published figures."""
