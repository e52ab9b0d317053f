"""The sections of `config.yml` as typed models, one file for each part of the product.

Class and attribute names are public: users construct and read them.
"""
