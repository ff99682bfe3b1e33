"""What a run left and what it means: records, metric definitions, statistics, figures and the HTML report."""
