"""Flow cytometry: FCS files, compensation, gates, counts, absolute counts, limits of detection."""
